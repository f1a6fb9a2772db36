"""Exact constants: the SI definitions of 2019 and two numbers of mathematics."""

BOLTZMANN = 1.380649e-23  # exact, J/K
ELEMENTARY_CHARGE = 1.602176634e-19  # exact, C
E = 2.718281828459045  # exact to double precision; E**x is an exponential that SymPy and arrays follow too
LN_2 = 0.6931471805599453  # exact to double precision
LN_10 = 2.302585092994046  # exact to double precision
