"""The only rooms that know Ray: plan minus ledger, run and committed."""
