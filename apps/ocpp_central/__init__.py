"""A small central system: takes stations of every version in, writes bills, survives a kill."""
