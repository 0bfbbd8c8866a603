// A manager at either end: export what one process has registered, register what another process exports.
#ifndef COTENANT_IPC_MANAGED_HPP
#define COTENANT_IPC_MANAGED_HPP
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "cotenant/ipc/tensor_exporter.hpp"
#include "cotenant/share/manager.hpp"

namespace cotenant {

namespace detail {
// Registered tensors of any type, without naming the type.
struct ManagerAccess {
  static void add(std::vector<NamedTensor>& to, TensorSharingManager& manager, std::string_view name, std::string_view model) {
    Registry& registry = *manager.registry_;
    const std::shared_ptr<Entry> known = registry.find(name);
    LeaseNode lease;
    if (!known || registry.acquire(lease, name, model, known->dtype, known->block->storage_identity()) != Registry::Found::yes) return;
    const Entry& entry = *lease.tenancy()->entry();
    if (!entry.block->host_accessible())
      raise<Unsupported>("tensor '" + entry.name + "' lies in storage '" + std::string(entry.block->storage_name()) +
                         "', which other processes cannot read: copy it to the heap");
    const auto part = [&](const char* suffix, DType dtype,
        const Layout& layout) { to.emplace_back(entry.name + suffix, dtype, BlockRef(entry.block), layout); };
    part("", entry.dtype, entry.layout);
    if (!entry.parameters) return;
    part(".scale", DType::f32, entry.parameters->scale);
    if (entry.parameters->zero_point) part(".zero_point", entry.dtype == DType::u8 ? DType::u8 : DType::i8, *entry.parameters->zero_point);
  }
};
}  // namespace detail

// The tensors that a manager has registered, or those whose names begin with `prefix`, under their names. What was evicted comes back; what
// is freed meanwhile is left out. Each is leased to `model` for a moment. Quantised values are followed by what turns them back into
// numbers, as "<name>.scale" and, where there is one, "<name>.zero_point". Errors: Unsupported where one lies in a storage that the
// host cannot read, and so no other process either; those of TensorSharingManager::get for what has to come back.
inline std::vector<NamedTensor> registered_tensors(TensorSharingManager& manager, std::string_view prefix = {}, std::string_view model = "export") {
  std::vector<NamedTensor> tensors;
  for (const auto& [name, usage] : manager.stats().tensors)
    if (std::string_view(name).starts_with(prefix)) detail::ManagerAccess::add(tensors, manager, name, model);
  return tensors;
}

// Serves everything that is registered now. Errors: those of registered_tensors() and of TensorExporter.
[[nodiscard]] inline TensorExporter export_tensors(TensorSharingManager& manager, const std::filesystem::path& path, ExportOptions options = {}) {
  return TensorExporter(registered_tensors(manager), path, std::move(options));
}

namespace detail {
// Whether values, scale and zero point came in one piece of memory, and so can be one tensor of a manager.
inline bool is_one_quantized(const AttachedTensors& attached, std::string_view name) {
  if (!attached.is_quantized(name)) return false;
  const std::size_t part = attached.info(name).part;
  const std::string zero_point = std::string(name) + ".zero_point";
  return attached.info(std::string(name) + ".scale").part == part && (!attached.contains(zero_point) || attached.info(zero_point).part == part);
}
// Whether `part` ends with `suffix` and belongs to such values.
inline bool is_part_of_quantized(const AttachedTensors& attached, const ArenaTensor& part, std::string_view suffix) {
  if (!std::string_view(part.name).ends_with(suffix)) return false;
  const std::string_view whole = std::string_view(part.name).substr(0, part.name.size() - suffix.size());
  return is_one_quantized(attached, whole);
}
}  // namespace detail

// Registers every attached tensor with a manager as `prefix` + its name, and returns how many there are. Quantised values become one
// tensor with their scale and zero point, as they were for the producer. The arena, and each file, adds its bytes once. (A template, so
// that only programs which call it compile it, once per element type.)
// Errors: those of register_tensor(), AttachedTensors::tensor() and AttachedTensors::quantized().
template <std::same_as<TensorSharingManager> Manager>
std::size_t register_tensors(Manager& manager, const AttachedTensors& attached, const std::string& prefix = {}, const TensorOptions& options = {}) {
  std::size_t count = 0;
  for (const ArenaTensor& tensor : attached.tensors()) {
    if (detail::is_part_of_quantized(attached, tensor, ".scale") || detail::is_part_of_quantized(attached, tensor, ".zero_point")) continue;
    ++count;
    with_element(tensor.dtype, [&]<class T>(std::type_identity<T>) {
      if constexpr (QuantizedElement<T>)
        if (detail::is_one_quantized(attached, tensor.name)) {
          manager.register_tensor(prefix + tensor.name, attached.quantized<T>(tensor.name), options);
          return;
        }
      manager.register_tensor(prefix + tensor.name, attached.tensor<T>(tensor.name), options);
    });
  }
  return count;
}

}  // namespace cotenant

#endif
