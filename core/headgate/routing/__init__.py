"""From a fact to verdicts: which jobs it concerns, what each rule says, what moved; pure, no I/O of its own."""
