"""For learners: the book's runs, checked against its printed figures, and a live page that trains a network."""
