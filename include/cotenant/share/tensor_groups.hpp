// tensor_groups(): tensors that a reader may take as one, such as the weights of a checkpoint.
#ifndef COTENANT_SHARE_TENSOR_GROUPS_HPP
#define COTENANT_SHARE_TENSOR_GROUPS_HPP
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "cotenant/share/stats.hpp"

namespace cotenant::detail {

// Tensors of one storage with the same holders, grants and pin are a group where there are at least five of them; fewer
// are easier to read one by one. Members are in order of their names. The pointers point into `stats`.
inline std::vector<std::vector<const TensorUsage*>> tensor_groups(const SharingStats& stats) {
  constexpr std::size_t worth_grouping = 5;
  std::map<std::string, std::vector<const TensorUsage*>> alike;
  for (const auto& [name, tensor] : stats.tensors) {
    std::string key = tensor.storage + (tensor.pinned ? "\1" : "\2");
    for (const auto& [model, leases] : tensor.holders) key += model + '\0';
    key += '\1';
    for (const std::string& model : tensor.grants) key += model + '\0';
    alike[key].push_back(&tensor);
  }
  std::vector<std::vector<const TensorUsage*>> groups;
  for (const auto& [key, tensors] : alike) {
    if (tensors.size() >= worth_grouping) groups.push_back(tensors);
    else for (const TensorUsage* tensor : tensors) groups.push_back({tensor});
  }
  return groups;
}

}  // namespace cotenant::detail

#endif
