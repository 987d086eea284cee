"""Sessions at the consoles and over REST: who may open one, how it is proved, and when it ends."""
