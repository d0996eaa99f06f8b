"""One identifier of an event after the other: what an event says, and which customers it joins."""
