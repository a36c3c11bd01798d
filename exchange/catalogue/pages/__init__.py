"""The catalogue for people: what is offered here, in words, French first."""
