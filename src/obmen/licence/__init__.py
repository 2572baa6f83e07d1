"""Format packages and licences (design §3, §9): what a publisher signs, what the hub believes of it, what it may then do.

``package`` and ``statement`` are pure: the two things that a publisher signs. ``loading`` imports a package without putting it on
disk. ``packages`` and ``licences`` keep them in the database; ``online`` asks a publisher's server.
"""
