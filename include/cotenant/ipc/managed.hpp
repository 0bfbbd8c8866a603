// A manager at either end: export what one process has registered, register what another process exports.
#ifndef COTENANT_IPC_MANAGED_HPP
#define COTENANT_IPC_MANAGED_HPP
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "cotenant/ipc/tensor_exporter.hpp"
#include "cotenant/share/manager.hpp"

namespace cotenant {

namespace detail {
template <class... S> struct Storages {};
// The storages whose bytes another process can be given.
using ExportedStorages = Storages<Heap, Mapped, Borrowed, SharedMemory>;

template <Element T, class... S>
bool add_registered(std::vector<NamedTensor>& tensors, TensorSharingManager& manager, const std::string& name, std::string_view model,
                    std::string_view storage, Storages<S...>) {
  const auto add = [&]<class One>(std::type_identity<One>) {
    if (One::name() != storage) return false;
    if (const auto lease = manager.try_get<T, One>(name, model)) tensors.emplace_back(name, *lease);
    return true;
  };
  return (add(std::type_identity<S>{}) || ...);
}
}  // namespace detail

// The tensors that a manager has registered, or those whose names begin with `prefix`, under their names. What was evicted comes back; what
// is freed meanwhile is left out. Each is leased to `model` for a moment. Errors: Unsupported where one lies in a storage that other
// processes cannot be given.
inline std::vector<NamedTensor> registered_tensors(TensorSharingManager& manager, std::string_view prefix = {}, std::string_view model = "export") {
  std::vector<NamedTensor> tensors;
  for (const auto& [name, usage] : manager.stats().tensors) {
    if (!std::string_view(name).starts_with(prefix)) continue;
    const bool added = with_element(usage.dtype, [&, &tensor_name = name, &storage = usage.storage]<class T>(std::type_identity<T>) {
      return detail::add_registered<T>(tensors, manager, tensor_name, model, storage, detail::ExportedStorages{});
    });
    if (!added)
      raise<Unsupported>("tensor '" + name + "' lies in storage '" + usage.storage + "', which other processes cannot be given: copy it to the heap");
  }
  return tensors;
}

// Serves everything that is registered now. Errors: those of registered_tensors() and of TensorExporter.
[[nodiscard]] inline TensorExporter export_tensors(TensorSharingManager& manager, const std::filesystem::path& path, ExportOptions options = {}) {
  return TensorExporter(registered_tensors(manager), path, std::move(options));
}

// Registers every attached tensor with a manager as `prefix` + its name, and returns how many there are. The arena, and each file, adds its
// bytes once. Errors: those of register_tensor() and AttachedTensors::tensor().
inline std::size_t register_tensors(TensorSharingManager& manager, const AttachedTensors& attached, const std::string& prefix = {},
                                    const TensorOptions& options = {}) {
  for (const ArenaTensor& tensor : attached.tensors())
    with_element(tensor.dtype, [&]<class T>(std::type_identity<T>) {
      manager.register_tensor(prefix + tensor.name, attached.tensor<T>(tensor.name), options);
    });
  return attached.tensors().size();
}

}  // namespace cotenant

#endif
