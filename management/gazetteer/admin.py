from django.contrib import admin

from auditrepr.admin import AuditHistoryMixin

from .models import Country, Language, Organization, Subdivision, Succession


@admin.register(Country)
class CountryAdmin(AuditHistoryMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "flag", "alpha_2", "alpha_3", "numeric", "withdrawn"]
    search_fields = ["name", "official_name", "=alpha_2", "=alpha_3"]


@admin.register(Organization)
class OrganizationAdmin(AuditHistoryMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    search_fields = ["name"]
    autocomplete_fields = ["members"]


@admin.register(Succession)
class SuccessionAdmin(AuditHistoryMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["predecessor", "successor"]
    list_select_related = ["predecessor", "successor"]
    autocomplete_fields = ["predecessor", "successor"]


@admin.register(Subdivision)
class SubdivisionAdmin(AuditHistoryMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "code", "type", "parent", "country"]
    list_select_related = ["country", "parent__country", "parent__parent__country"]
    search_fields = ["name", "=code"]
    autocomplete_fields = ["country", "parent"]


@admin.register(Language)
class LanguageAdmin(AuditHistoryMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "alpha_3", "alpha_2", "scope", "type"]
    list_filter = ["scope", "type"]
    search_fields = ["name", "=alpha_3", "=alpha_2"]
