"""The report of a study, from what is stored alone: tables, intervals, figures and one page."""
