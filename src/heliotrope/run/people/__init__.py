"""Who may do what with whose work: organisations do not see each other.

`policy` is the one rule, `members` who there is, `refusals` who was turned away, `reception` where everybody asks,
`client` how one asks from elsewhere.
"""
