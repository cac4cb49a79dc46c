"""Helpers of the course: plumbing, and what an earlier lesson has already taught.

The floors, from the ground up; a module imports only from floors below its own::

    environment                      device, seeds, versions
    resources                        where weights, word lists and data come from
    data                             CSV, shipped and hub data as DatasetDict
    text, embeddings, models         what lessons 03, 04 and 00 teach
    evaluation, claims               numbers with intervals, sentences that are checked
    plots, widgets, exercises        figures, controls, "your turn"
    lesson                           the first cell of every notebook
"""

__version__ = "0.1.0"
