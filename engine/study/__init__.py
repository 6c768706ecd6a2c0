"""Models held against each other, and against published figures, on sets of labelled patches."""
