"""Models f(x; θ), a package per family."""
