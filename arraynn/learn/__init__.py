"""For learners: the book's runs, checked against its printed figures."""
