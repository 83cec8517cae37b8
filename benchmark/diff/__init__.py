"""What is not the same on two sides: boards, tables of people, folds against a table."""
