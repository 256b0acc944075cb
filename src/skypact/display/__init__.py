"""The web page's server: pictures and events out to browsers."""
