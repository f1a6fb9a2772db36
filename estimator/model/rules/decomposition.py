"""Factorisations of matrices and solutions by them: leading terms of their FLOP, counted as vector work.

Golub & Van Loan, Matrix Computations, 4th ed. (2013): LU 2/3 n³ (3.2), Cholesky n³/3 (4.2), triangular systems n² a column
(3.1), Householder QR 2 n² (m - n/3) and as much again to form Q (5.2), symmetric eigenvalues 4/3 n³, with vectors 9 n³ (8.3),
singular values 2 m n² + 2 n³, with reduced vectors 6 m n² + 20 n³ (figure 8.6.1, R-SVD). Libraries run them mostly outside
matrix units, and other counters leave them out, so they are no part of `matmul_flop`.
"""

from collections.abc import Callable
from math import prod

from estimator.model.rules.registry import moved, rule
from estimator.model.work import Dim, Signature, TensorSpec, Work

LU, CHOLESKY, INVERSE = 2 / 3, 1 / 3, 2  # exact: FLOP per n³


def _factors(*ops: str, per_cube: float, matrix: str) -> None:
    @rule(*ops, kind="reduction", fuses=False)
    def factor(op: Signature) -> Work:
        batch, n, _ = _matrices(op[matrix])
        return moved(op, vector=per_cube * batch * n**3)


_factors("aten.linalg_lu_factor_ex", "aten.linalg_lu", "aten._linalg_det", "aten._linalg_slogdet", per_cube=LU, matrix="A")
_factors("aten.linalg_cholesky_ex", per_cube=CHOLESKY, matrix="self")
_factors("aten.linalg_inv_ex", per_cube=INVERSE, matrix="A")


def _systems(*ops: str, factor: float, triangles: int, matrix: str, right: str) -> None:
    @rule(*ops, kind="reduction", fuses=False)
    def system(op: Signature) -> Work:
        batch, n, _ = _matrices(op[matrix])
        columns = op[right].elements / (batch * n)
        return moved(op, vector=batch * (factor * n**3 + triangles * n**2 * columns))


_systems("aten._linalg_solve_ex", factor=LU, triangles=2, matrix="A", right="B")
_systems("aten.linalg_lu_solve", factor=0, triangles=2, matrix="LU", right="B")
_systems("aten.cholesky_solve", factor=0, triangles=2, matrix="input2", right="self")
_systems("aten.linalg_solve_triangular", factor=0, triangles=1, matrix="self", right="B")
_systems("aten.triangular_solve", factor=0, triangles=1, matrix="A", right="self")


def _spectra(op_name: str, values: Callable, vectors: Callable, wanted: str, matrix: str) -> None:
    @rule(op_name, kind="reduction", fuses=False)
    def spectrum(op: Signature) -> Work:
        batch, m, n = _matrices(op[matrix])
        return moved(op, vector=batch * (vectors if op[wanted] else values)(m, n))


def _singular_vectors(m: Dim, n: Dim) -> Dim:
    return 6 * m * n**2 + 20 * n**3  # exact: as above


_spectra("aten._linalg_eigh", lambda _, n: 4 / 3 * n**3, lambda _, n: 9 * n**3, wanted="compute_v", matrix="A")  # exact: as above
_spectra("aten._linalg_svd", lambda m, n: 2 * m * n**2 + 2 * n**3, _singular_vectors, wanted="compute_uv", matrix="A")


@rule("aten.linalg_qr", kind="reduction", fuses=False)
def qr(op: Signature) -> Work:
    """The triangle, and the orthonormal columns unless mode says R alone."""
    batch, m, n = _matrices(op["A"])
    return moved(op, vector=batch * 2 * n**2 * (m - n / 3) * (1 if op["mode"] == "r" else 2))  # exact: as above


@rule("aten._linalg_check_errors", kind="copy", fuses=False)
def status(op: Signature) -> Work:
    """The host reads whether it went well."""
    return moved(op)


def _matrices(spec: TensorSpec) -> tuple[Dim, Dim, Dim]:
    """Number of matrices, the longer and the shorter side."""
    *lead, rows, columns = spec.shape
    return prod(lead), *sorted((rows, columns), reverse=True)
