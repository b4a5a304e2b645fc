"""`python -m nucleus`, and what bin/nucleus starts with `-I -S`: compiled at each start, so as short as can be.

✗ nothing but imports.py and cli.main.
"""

import sys
from _frozen_importlib_external import SourceFileLoader

if __name__ == "__main__":
    # By its path, since a search costs what this module is there to spare.
    loader = SourceFileLoader("nucleus.imports", f"{__file__.rpartition('/')[0]}/imports.py")
    imports = sys.modules[loader.name] = type(sys)(loader.name)
    imports.__file__ = loader.path
    loader.exec_module(imports)
    imports.prepare(isolated=not __package__)
    from nucleus.cli.main import main

    sys.exit(main(sys.argv[1:]))
