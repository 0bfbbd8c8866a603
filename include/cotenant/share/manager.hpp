// TensorSharingManager: tensors by name, leased to models by name, within one memory budget.
#ifndef COTENANT_SHARE_MANAGER_HPP
#define COTENANT_SHARE_MANAGER_HPP
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/share/inventory.hpp"
#include "cotenant/share/lease.hpp"
#include "cotenant/share/registry.hpp"
#include "cotenant/share/registry_changes.hpp"
#include "cotenant/share/report.hpp"

namespace cotenant {

// A tensor is registered once and leased by name. A *lease* ("t5 is using this") and a pin keep it; a *grant* ("t5 may
// use this") keeps it only for the grace period after the last release, registration or grant. A tensor that
// nothing keeps stays available until optimize_memory(), or a registration that needs its room, frees it; and only if
// that gives bytes back: while a view, or any handle outside the manager, uses its block, the name stays too.
// Leases are counted per (tensor, model): twice acquired is twice released.
//
// Every function may be called from any number of threads at once. Tensors and leases may outlive the manager.
class TensorSharingManager {
 public:
  explicit TensorSharingManager(const ManagerOptions& options = {}) : registry_(options) {}
  TensorSharingManager(const TensorSharingManager&) = delete;
  TensorSharingManager& operator=(const TensorSharingManager&) = delete;

  // Registers a tensor and returns it; from then on nobody writes to its block in place. Where the name exists with the
  // same shape, element type and storage, returns the existing tensor. Either way a named producer holds a
  // lease afterwards (one more only if it held none), until release() or release_model(); consumers have grants.
  // A tensor on a block that is registered already adds no bytes.
  // Errors: AlreadyRegistered (same name, another shape, type or storage); BudgetExceeded (too large, also after freeing
  // what can be freed; says who holds what, and nothing is lost); InvalidArgument (empty name or tensor).
  template <Element T, Storage S> SharedTensor<T, S> register_tensor(std::string name, SharedTensor<T, S> tensor, const TensorOptions& options = {}) {
    require_name(name, "a tensor");
    for (const std::string& consumer : options.consumers) require_name(consumer, "a consumer");
    if (!tensor) raise<InvalidArgument>("cannot register '" + name + "': the tensor is empty (default-constructed or moved from)");
    auto candidate = std::make_shared<detail::TypedEntry<T, S>>(std::move(name), std::move(tensor));
    return typed<T, S>(*registry_.admit(std::move(candidate), detail::Registry::Same::shape_and_type, options)).tensor;
  }

  // A lease on a tensor; counts a hit. The lease ends when the object is destroyed.
  // Errors: NotFound (counts a miss); TypeError where its element type or storage is another; InvalidArgument (empty model).
  template <Element T, Storage S = Heap> [[nodiscard]] Lease<T, S> get(std::string_view name, std::string_view model) {
    require_name(model, "a model");
    return Lease<T, S>([&](detail::LeaseNode& node) {
      const auto found = registry_.acquire(node, name, model, dtype_of<T>, &detail::storage_identity_of<S>);
      if (found == detail::Registry::Found::no) raise_not_found(name);
      if (found == detail::Registry::Found::other_type) raise_other_type<T, S>(name);
    });
  }
  // The same, or nothing (a miss) where there is no tensor of that name. Errors: TypeError, InvalidArgument.
  template <Element T, Storage S = Heap> [[nodiscard]] std::optional<Lease<T, S>> try_get(std::string_view name, std::string_view model) {
    require_name(model, "a model");
    std::optional<Lease<T, S>> lease;
    Lease<T, S> found([&](detail::LeaseNode& node) {
      if (registry_.acquire(node, name, model, dtype_of<T>, &detail::storage_identity_of<S>) == detail::Registry::Found::other_type)
        raise_other_type<T, S>(name);
    });
    if (found) lease = std::move(found);
    return lease;
  }

  // Registers the box of `sizes` elements from `offsets` of a tensor under a name of its own, without a copy, and leases
  // it to a model. It adds no bytes and keeps its bytes whatever becomes of the source's name. Where
  // the new name exists with the same elements, leases that; counts neither a hit nor a miss.
  // Errors: NotFound (no such source), TypeError, ShapeError (outside the source), AlreadyRegistered, InvalidArgument.
  template <Element T, Storage S = Heap>
  [[nodiscard]] Lease<T, S> create_view(std::string_view source_name, std::string new_name, const Shape& offsets, const Shape& sizes, std::string_view model) {
    require_name(new_name, "a view");
    require_name(model, "a model");
    const std::shared_ptr<detail::Entry> source = registry_.find(source_name);
    if (!source) raise_not_found(source_name);
    if (!is_typed<T, S>(*source)) raise_other_type<T, S>(source_name);
    auto candidate = std::make_shared<detail::TypedEntry<T, S>>(std::move(new_name), typed<T, S>(*source).tensor.slice(offsets, sizes));
    candidate->source = source->name;
    return Lease<T, S>([&](detail::LeaseNode& node) { registry_.admit(std::move(candidate), detail::Registry::Same::elements, {}, &node, model); });
  }

  // Grants a tensor to consumers: each may use it, and it waits for them for the grace period. May be called in the name
  // of its producer or of a model that holds it. Never throws for what is not there: see ShareStatus.
  ShareResult share(std::string_view name, std::string_view producer, const std::vector<std::string>& consumers) {
    return registry_.share(name, producer, consumers);
  }

  // Ends one lease of a model on a tensor: one without a Lease object first (a producer's), then the oldest.
  // False where it holds none.
  bool release(std::string_view name, std::string_view model) { return registry_.release(name, model); }
  // Ends every lease of a model, withdraws its grants and forgets that it was active. Returns how many leases ended; a
  // second call returns 0.
  std::size_t release_model(std::string_view model) { return registry_.release_model(model); }

  // A pinned tensor is never freed. False where there is no such tensor.
  bool pin(std::string_view name) { return registry_.set_pinned(name, true).has_value(); }
  // False where there is no such tensor or it was not pinned.
  bool unpin(std::string_view name) { return registry_.set_pinned(name, false).value_or(false); }

  // Whether optimize_memory() would free the tensor now: no pin, no lease, no fresh grant, on it or on any other name on
  // the same block, and no handle outside the manager; or it is an unused view whose source is registered.
  bool can_be_freed(std::string_view name) const { return registry_.can_be_freed(name); }
  // Frees every tensor that can be freed, and gives recycled heap memory back to the system.
  OptimizationResult optimize_memory() {
    OptimizationResult result = registry_.optimize();
    result.trimmed_bytes = heap_cache().trim();
    return result;
  }
  // Drops a name at once that nobody leases or pins, also if it has fresh grants. Handles and views keep the bytes.
  // False where there is no such tensor or it is held.
  bool forget(std::string_view name) { return registry_.forget(name); }

  bool contains(std::string_view name) const { return registry_.find(name) != nullptr; }

  // Makes a model known that has not touched a tensor yet.
  // Errors: InvalidArgument (empty name).
  void register_model(std::string_view model) {
    require_name(model, "a model");
    registry_.register_model(model);
  }
  // Families whose models share tensors of a kind, beside the default table. Errors: InvalidArgument.
  void add_sharing_pattern(const std::string& tensor_kind, const std::vector<std::string>& families) { registry_.add_pattern(tensor_kind, families); }
  // Kinds of tensor that two or more active models work on. A model is active from the first call that names it to its release_model().
  std::vector<SharingOpportunity> analyze_sharing_opportunities() const { return detail::opportunities(registry_.inventory()); }

  std::map<std::string, TensorUsage, std::less<>> tensor_memory_usage() const { return stats().tensors; }
  std::map<std::string, ModelUsage, std::less<>> model_memory_usage() const { return stats().models; }
  OptimizationRecommendations optimization_recommendations() const { return detail::recommendations(registry_.inventory()); }
  SharingStats stats() const { return detail::statistics(registry_.inventory()); }
  // Who holds what and what it saved, as a table for people.
  std::string report() const { return cotenant::report(stats()); }
  // Memory over time; empty unless ManagerOptions::record_timeline.
  std::vector<TimelineSample> timeline() const { return registry_.timeline(); }

 private:
  static void require_name(std::string_view name, const char* what) {
    if (name.empty()) raise<InvalidArgument>(std::string(what) + " needs a name, but an empty one was given");
  }
  template <Element T, Storage S> static bool is_typed(const detail::Entry& entry) {
    return entry.dtype == dtype_of<T> && entry.block->storage_identity() == &detail::storage_identity_of<S>;
  }
  template <Element T, Storage S> static const detail::TypedEntry<T, S>& typed(const detail::Entry& entry) {
    return static_cast<const detail::TypedEntry<T, S>&>(entry);
  }

  [[noreturn]] void raise_not_found(std::string_view name) const {
    raise<NotFound>("no tensor is registered as '" + std::string(name) + "'." + registry_.suggestion(name) +
                    " Register it first, or use try_get() where it may be absent");
  }
  template <Element T, Storage S> [[noreturn]] void raise_other_type(std::string_view name) const {
    const std::shared_ptr<detail::Entry> entry = registry_.find(name);
    const std::string asked = std::string(to_string(dtype_of<T>)) + " in storage '" + std::string(S::name()) + "'";
    if (!entry) raise<TypeError>("tensor '" + std::string(name) + "' was not " + asked);  // freed since
    const std::string there(to_string(entry->dtype)), storage(entry->block->storage_name());
    raise<TypeError>("tensor '" + std::string(name) + "' was asked for as " + asked + ", but it is " + there + " " + to_string(entry->layout.shape) +
                     " in storage '" + storage + "': name that element type and storage, or convert a copy");
  }

  detail::Registry registry_;
};

}  // namespace cotenant

#endif
