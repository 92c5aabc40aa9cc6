"""Sites elsewhere: an agent beside each engine fetches its work and reports, so that no site opens a port.

`wire` is what they say, `office` the side that has the work, `agent` the side that does it, `belief` what is believed.
"""
