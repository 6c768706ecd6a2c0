"""Kilometric sheets as they are delivered: written while prediction goes on, with an index that is a map of the run."""
