"""The studio: a page on this machine on which a song is made longer by hand.

`serving` opens it, `guarding` keeps others out, `application` says what lies at which address. A `session` is one song
and the plans made of it; everything that it does is a call of the public verbs.
"""
