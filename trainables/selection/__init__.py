"""Which epoch, which parameters and which method to trust, without a label of the target: rules, one file each."""
