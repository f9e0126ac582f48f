"""Several workers on one backlog: a planner cuts it into shares, and workers claim them.

The shares of one planner are a round. A message, a signal or an option only says that there is
work; the table of shares says which. So what is lost, doubled or late does no harm.
"""
