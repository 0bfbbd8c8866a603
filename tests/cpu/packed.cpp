// Packed weights: made once, used by all, the same results, counted and released with the block.
#include <cotenant/cotenant.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

namespace cotenant::test {
namespace {

template <class T = float> SharedTensor<T> numbers(const Shape& shape, std::uint32_t state = 1) {
  auto tensor = empty<T>(shape);
  for (T& x : tensor.mutable_view().span()) x = convert<T>(static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) / 8388608.f - 1.f);
  return tensor;
}
template <class T> bool same_bits(const SharedTensor<T>& a, const SharedTensor<T>& b) {
  return a.shape() == b.shape() && std::memcmp(a.view().data(), b.view().data(), a.bytes()) == 0;
}
template <class T> std::size_t packed_bytes(const SharedTensor<T>& tensor) {
  const DerivedSet* set = tensor.block()->derived_if_any();
  return set == nullptr ? 0 : set->bytes();
}

TEST_CASE("packed or not, the results are the same bits") {
  for (const auto& extents : {std::array<std::size_t, 3>{7, 130, 70}, {64, 700, 100}, {5, 4100, 33}, {200, 64, 64}}) {
    const std::size_t m = extents[0], k = extents[1], n = extents[2];
    const auto check = [&](const auto& x, const auto& weights) {
      const auto expected = matmul<float>(x, weights);
      const auto activated = matmul<float>(x, weights, [](auto sum) { return max(sum, 0.f); });
      CHECK(packed_bytes(weights) == 0);
      weights.freeze();
      for (int use = 0; use < 2; ++use) {
        CHECK(same_bits(matmul<float>(x, weights), expected));
        CHECK(same_bits(matmul<float>(x, weights, [](auto sum) { return max(sum, 0.f); }), activated));
      }
      CHECK(packed_bytes(weights) >= k * n * sizeof(weights.view().data()[0]));
      CHECK(packed_bytes(weights) < 2 * (k + 3) * (n + 64) * sizeof(float));
    };
    check(numbers({m, k}), numbers({k, n}, 2));
    check(numbers({m, k}), numbers({n, k}, 2).transpose());
    check(numbers({3, m, k}), numbers({k, n}, 2));
    check(numbers<bf16>({m, k}), numbers<float>({k, n}, 2));
  }
  const auto x = numbers<bf16>({9, 333});
  const auto weights = numbers<bf16>({333, 90}, 2);
  const auto expected = matmul(x, weights);
  weights.freeze();
  for (int use = 0; use < 2; ++use) CHECK(same_bits(matmul(x, weights), expected));
}

TEST_CASE("each part and each direction of a block is packed once") {
  const auto block = numbers({2, 80, 96});
  const auto x = numbers({8, 80}), y = numbers({8, 96});
  block.freeze();
  const auto first = block.slice(0, 0, 1).reshape({80, 96}), second = block.slice(0, 1, 2).reshape({80, 96});
  matmul(x, first);
  const std::size_t one = packed_bytes(block);
  CHECK(one >= 80 * 96 * sizeof(float));
  matmul(x, first);
  CHECK(packed_bytes(block) == one);
  matmul(x, second);
  CHECK(packed_bytes(block) == 2 * one);
  CHECK(same_bits(matmul(x, second), matmul(x, numbers({2, 80, 96}).slice(0, 1, 2).reshape({80, 96}))));
  matmul(y, first.transpose());
  CHECK(packed_bytes(block) > 2 * one);
}

TEST_CASE("what is not worth packing, or may change, is not packed") {
  const auto x = numbers({8, 64});
  const auto mine = numbers({64, 96}), small = numbers({64, 32}), batch = numbers({3, 64, 96});
  const auto narrow = numbers<bf16>({64, 96});
  matmul(x, mine);
  CHECK(packed_bytes(mine) == 0);
  small.freeze(), batch.freeze(), narrow.freeze();
  matmul(x, small);
  CHECK(packed_bytes(small) == 0);
  matmul(x, batch);
  CHECK(packed_bytes(batch) == 0);
  matmul(x, narrow);  // would be twice as large in floats
  CHECK(packed_bytes(narrow) == 0);
  mine.freeze();
  matmul(x.slice(0, 0, 1), mine);  // one row reads the weights where they lie
  CHECK(packed_bytes(mine) == 0);
}

TEST_CASE("sequences by one matrix are one product, with each entry's own extra operands") {
  const auto weights = numbers({65, 70}, 2);
  for (const std::size_t rows : {std::size_t{1}, std::size_t{2}, std::size_t{9}}) {
    const auto x = numbers({3, 2, rows, 65}), residual = numbers({3, 2, rows, 70}, 3), bias = numbers({3, 1, 1, 70}, 4), column = numbers({rows, 1}, 5);
    const auto all = matmul(x, weights, [](auto sum, auto r, auto b, auto c) { return (sum + r) * b - c; }, residual, bias, column);
    const auto turned = matmul(x.transpose(0, 1), weights);
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 2; ++j)
        for (std::size_t m = 0; m < rows; ++m)
          for (std::size_t n = 0; n < 70; ++n) {
            double sum = 0;
            for (std::size_t k = 0; k < 65; ++k) sum += static_cast<double>(x.view()(i, j, m, k)) * static_cast<double>(weights.view()(k, n));
            REQUIRE(turned.view()(j, i, m, n) == doctest::Approx(sum).epsilon(1e-5).scale(10));
            const double expected = (sum + static_cast<double>(residual.view()(i, j, m, n))) * static_cast<double>(bias.view()(i, std::size_t{0}, std::size_t{0}, n));
            REQUIRE(all.view()(i, j, m, n) == doctest::Approx(expected - static_cast<double>(column.view()(m, std::size_t{0}))).epsilon(1e-5).scale(10));
          }
  }
}

TEST_CASE("many threads that need the same weights first") {
  const auto x = numbers({24, 300}), weights = numbers({300, 500}, 2);
  const auto expected = matmul(x, weights);
  weights.freeze();
  std::vector<SharedTensor<float>> got(4);
  std::vector<std::thread> threads;
  for (auto& result : got) threads.emplace_back([&] { result = matmul(x, weights); });
  for (auto& thread : threads) thread.join();
  for (const auto& result : got) CHECK(same_bits(result, expected));
  CHECK(packed_bytes(weights) < 2 * 300 * 512 * sizeof(float));
}

TEST_CASE("packed weights keep within the budget of the manager that has the weights") {
  const auto x = numbers({24, 300});
  const auto expected = matmul(x, numbers({300, 500}, 2));
  const std::size_t bytes = numbers({300, 500}).block()->bytes();
  TensorSharingManager manager{{.max_memory = bytes + bytes / 2}};
  const auto weights = manager.register_tensor("weights", numbers({300, 500}, 2), {.consumers = {"model"}});
  const auto lease = manager.get<float>("weights", "model");
  std::vector<SharedTensor<float>> got(4);
  std::vector<std::thread> threads;
  for (auto& result : got) threads.emplace_back([&] { result = matmul(x, *lease); });
  for (auto& thread : threads) thread.join();
  for (const auto& result : got) CHECK(same_bits(result, expected));
  CHECK(manager.stats().derived_bytes == 0);

  TensorSharingManager roomy{{.max_memory = 3 * bytes}};
  const auto packed = roomy.register_tensor("weights", numbers({300, 500}, 2));
  CHECK(same_bits(matmul(x, packed), expected));
  CHECK(roomy.stats().derived_bytes >= 300 * 500 * sizeof(float));
  CHECK(roomy.stats().true_bytes + roomy.stats().derived_bytes <= 3 * bytes);
}

TEST_CASE("packed weights go with the block") {
  const auto bytes = [] { return cpu::PackedRight(1000).bytes(); }();
  CHECK(bytes >= 4000);
  struct Marker final : Derived {
    explicit Marker(bool& is_gone) : gone(is_gone) {}
    ~Marker() { gone = true; }
    std::size_t bytes() const noexcept override { return 7; }
    bool& gone;
  };
  bool gone = false;
  auto weights = numbers({300, 500});
  weights.freeze();
  static const char maker = 0;
  matmul(numbers({24, 300}), weights);
  const std::size_t before = packed_bytes(weights);
  weights.block()->derived().find_or_make({&maker, weights.view().data(), 1, 1, 1, 1}, [&](DerivedRoom&) { return make_ref<const Marker>(gone); });
  CHECK(packed_bytes(weights) == before + 7);
  CHECK_FALSE(gone);
  weights = {};
  CHECK(gone);
}

}  // namespace
}  // namespace cotenant::test
