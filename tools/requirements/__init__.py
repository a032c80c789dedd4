"""Which requirements the tests prove: lists of ids, a recorder for pytest, and a report.

The lists (``1.6.csv``, ``2.0.1.csv``, ``2.1.csv``) hold facts only: the id, its use case or chapter, who must
act (``station``, ``CSMS``, ``both``, or ``other``: an operator, a manufacturer), how binding it is
(``SHALL``, ``SHOULD``, ``MAY``, or ``statement`` where no such word is used), whether an errata sheet brought
it, and whether 2.0.1 and 2.1 word it differently. Sections have neither actor nor level.
"""
