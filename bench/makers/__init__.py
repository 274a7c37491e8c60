"""The programs that a user of a library would write: data in, PDF out, one report a run."""
