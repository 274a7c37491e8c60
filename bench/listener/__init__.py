"""The listener beside the same listener in Python and in Node, each under one and the same Lambda runtime API."""
