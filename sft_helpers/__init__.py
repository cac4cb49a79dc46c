"""Helpers of the course: plumbing, and what an earlier lesson has already taught.

The floors, from the ground up; a module imports only from floors below its own::

    drawn                            what a figure draws, in lines of text
    environment, plots, storage      device, seeds, versions; figures; files that are whole or not there
    resources                        where weights, word lists and data come from
    data                             CSV, shipped and hub data as DatasetDict
    text, embeddings, models         what lessons 03, 04 and 08 teach
    evaluation, claims, features     numbers with intervals, sentences that are checked, frozen features kept
    messages                         customer messages and shops
    training, ladder, assistant      the loop of lessons 08 and 09; what each rung scored; lesson 13's assistant
    cures                            lesson 11's loop, one switch for each cure against overfitting
    widgets, exercises, finetune     controls, "your turn"; the loop from the command line
    lesson                           the first cell of every notebook
"""

__version__ = "0.1.0"
