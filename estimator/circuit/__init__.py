"""Gates and bits: how much switching an operation, a memory access or a transfer takes."""
