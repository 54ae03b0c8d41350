"""python -m airdeck_cli"""

from airdeck_cli.main import main

main()
