"""CommerceML 2.03–3.1: read, written and checked as a stream, in constant memory, without Django."""
