"""``python -m ocpp_central.demo``: a central system and three stations, as processes, charging cars.

One link is cut and one station killed in the middle of a transaction. In the end both sides are asked what
was delivered and billed; the exit status is 0 only if they agree to the watt-hour.
"""
