"""Sessions at the consoles and over REST: open, prove and end them.

`ends` also ends the online emergency access that users gave themselves (`end_own_access`).
"""
