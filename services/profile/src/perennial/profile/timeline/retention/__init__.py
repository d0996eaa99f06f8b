"""For how long the timeline keeps which data.

Every month of the timeline is a partition, and in it every data class is one of its own. What a class keeps no longer
is one DROP TABLE, which costs nothing and leaves no holes; deleting views from among orders would rewrite the month.
Month first, then class: the newest page of a customer ends in the newest months, whatever classes there are.
An event that would be dropped at once is not stored at all: it counts, its traits stay, the timeline is without it.
"""
