"""Sign in with a passcode: one verification behind every interface, and the challenges that may follow."""
