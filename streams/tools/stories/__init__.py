"""Stories: the emails of invented customers over some weeks, and what they did not get, by the real rules on a virtual clock."""
