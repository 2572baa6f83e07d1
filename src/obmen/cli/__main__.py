from obmen.cli import main

main()
