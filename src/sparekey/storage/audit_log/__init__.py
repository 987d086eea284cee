"""Events, the chain over them, alarms, and the mail that is waiting."""
