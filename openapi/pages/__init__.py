"""What every package's pages stand on: language, sentences, static files, the frame of a page, its routes."""
