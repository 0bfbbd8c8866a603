// Which tensors reports show as one row.
#include <doctest/doctest.h>

#include <cotenant/share/tensor_groups.hpp>

#include <string>

namespace cotenant::test {
namespace {
SharingStats stats_of(std::size_t weights, const char* holder) {
  SharingStats stats;
  for (std::size_t i = 0; i < weights; ++i) {
    TensorUsage tensor;
    tensor.name = "weight." + std::to_string(i);
    tensor.storage = "mapped";
    tensor.holders[holder] = 1;
    stats.tensors[tensor.name] = tensor;
  }
  return stats;
}
}  // namespace

TEST_CASE("five tensors with the same holders are one group, four are not") {
  CHECK(detail::tensor_groups(stats_of(5, "bert")).size() == 1);
  CHECK(detail::tensor_groups(stats_of(4, "bert")).size() == 4);
}

TEST_CASE("another holder, grant, pin or storage sets a tensor apart, and none is lost") {
  SharingStats stats = stats_of(9, "bert");
  stats.tensors.at("weight.0").holders["t5"] = 1;
  stats.tensors.at("weight.1").grants = {"t5"};
  stats.tensors.at("weight.2").pinned = true;
  stats.tensors.at("weight.3").storage = "heap";
  const auto groups = detail::tensor_groups(stats);
  CHECK(groups.size() == 5);
  std::size_t members = 0;
  for (const auto& group : groups) members += group.size();
  CHECK(members == 9);
}
}  // namespace cotenant::test
