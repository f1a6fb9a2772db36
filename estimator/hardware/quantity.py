"""How a profile's schema says that a field is a sourced number in a given unit."""

from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from estimator.quantity import KEYS, STATUSES, Quantity, dump, read_quantity

__all__ = ["KEYS", "STATUSES", "Quantity", "Unit", "dump"]


class Unit:
    """Annotation `Annotated[Quantity, Unit("Hz")]`: accepts a Quantity, a number in SI, "1.98 GHz" or a sourced table."""

    def __init__(self, unit: str):
        self.unit = unit

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read, serialization=core_schema.plain_serializer_function_ser_schema(dump))

    def __get_pydantic_json_schema__(self, _schema: Any, _handler: Any) -> dict:
        return {
            "description": f"a number in {self.unit}, a text such as '1.2 {self.unit}', "
            "or a table {value, low, high, unit, source, status}"
        }

    def read(self, given: Any) -> Quantity:
        """Turn what a profile says into a `Quantity`; raises ValueError, which pydantic reports with its path."""
        return read_quantity(given, self.unit)
