"""What a site that uses django-cml writes itself: tables, and ``update_or_create`` for every item it is handed."""

from __future__ import annotations

from typing import Any

from django.db import models


class Group(models.Model):
    key = models.CharField(max_length=100, unique=True)
    name = models.CharField(max_length=250)
    parent = models.CharField(max_length=100)

    class Meta:
        app_label = "bench"


class Property(models.Model):
    key = models.CharField(max_length=100, unique=True)
    name = models.CharField(max_length=250)

    class Meta:
        app_label = "bench"


class PropertyValue(models.Model):
    key = models.CharField(max_length=100, unique=True)
    property = models.CharField(max_length=100)
    value = models.CharField(max_length=250)

    class Meta:
        app_label = "bench"


class Product(models.Model):
    key = models.CharField(max_length=100, unique=True)
    name = models.CharField(max_length=250)
    unit = models.CharField(max_length=20)
    tax = models.CharField(max_length=50)
    image = models.CharField(max_length=250)
    groups = models.JSONField()
    properties = models.JSONField()
    requisites = models.JSONField()

    class Meta:
        app_label = "bench"


class Offer(models.Model):
    key = models.CharField(max_length=100, unique=True)
    name = models.CharField(max_length=250)
    unit = models.CharField(max_length=20)

    class Meta:
        app_label = "bench"


class Price(models.Model):
    offer = models.ForeignKey(Offer, models.CASCADE)
    kind = models.CharField(max_length=100)
    value = models.DecimalField(max_digits=15, decimal_places=2)
    currency = models.CharField(max_length=3)

    class Meta:
        app_label = "bench"
        unique_together = [("offer", "kind")]


MODELS = (Group, Property, PropertyValue, Product, Offer, Price)


class GroupPipeline:
    def process_item(self, item: Any, parent: str = "") -> None:
        Group.objects.update_or_create(key=item.id, defaults={"name": item.name, "parent": parent})
        for child in item.groups:
            self.process_item(child, item.id)


class PropertyPipeline:
    def process_item(self, item: Any) -> None:
        Property.objects.update_or_create(key=item.id, defaults={"name": item.name})


class PropertyVariantPipeline:
    def process_item(self, item: Any) -> None:
        PropertyValue.objects.update_or_create(key=item.id, defaults={"property": item.property_id, "value": item.value})


class ProductPipeline:
    def process_item(self, item: Any) -> None:
        Product.objects.update_or_create(
            key=item.id,
            defaults={
                "name": item.name,
                "unit": item.sku_id,
                "tax": item.tax_name,
                "image": item.image_path,
                "groups": item.group_ids,
                "properties": item.properties,
                "requisites": [(field.name, field.value) for field in item.additional_fields],
            },
        )


class OfferPipeline:
    def process_item(self, item: Any) -> None:
        offer, _made = Offer.objects.update_or_create(key=item.id, defaults={"name": item.name, "unit": item.sku_id})
        for price in item.prices:
            values = {"value": price.price_for_sku, "currency": price.currency_name}
            Price.objects.update_or_create(offer=offer, kind=price.price_type_id, defaults=values)
