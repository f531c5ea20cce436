"""What is drawn, as GeoJSON."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import Finite

Position = Annotated[list[Finite], Field(min_length=2, max_length=3)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LineString(_In):
    """A line as GeoJSON; longitude first."""

    type: Literal["LineString"]
    coordinates: Annotated[list[Position], Field(min_length=2, max_length=5000)]


Rings = Annotated[
    list[Annotated[list[Position], Field(min_length=4, max_length=5000)]],
    Field(min_length=1, max_length=500),
]


class Polygon(_In):
    """A polygon as GeoJSON; longitude first."""

    type: Literal["Polygon"]
    coordinates: Rings


class OnePolygon(_In):
    """A MultiPolygon of one part, as areas are given out: taken for that polygon."""

    type: Literal["MultiPolygon"]
    coordinates: Annotated[list[Rings], Field(min_length=1, max_length=1)]


Drawing = Annotated[Polygon | OnePolygon, Field(discriminator="type")]
