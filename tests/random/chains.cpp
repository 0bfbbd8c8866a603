// Random programs: many ops in a row on parts of a few blocks, by several tenants, with copies from and to the host in between. Nothing is
// read before the end, so that what runs later than it is called has to keep the order that matters.
#include "backends.hpp"

#include <algorithm>
#include <utility>

namespace cotenant::test {
namespace {

// Integers of at most 100, of which all that follows is exact: products of 64 of them are below 2^20.
inline constexpr float bound = 100;

struct RandomProgram {
  static constexpr const char* name = "program";

  // A matrix inside one of the regions that a block is divided into. Two matrices in one region are taken to overlap.
  struct Part {
    std::size_t block = 0, region = 0;
    Layout layout;
    bool overlaps(const Part& other) const { return block == other.block && region == other.region; }
  };

  template <class Trial> static void run(Trial& trial) {
    using Storage = typename Trial::S;
    constexpr std::size_t blocks = 3, regions = 4, region_size = 40 * 40 + 3;  // no multiple of a line of a cache
    std::vector<std::vector<float>> want(blocks, std::vector<float>(regions * region_size));
    std::vector<SharedTensor<float, Storage>> tensors;
    std::mt19937 random = trial.draw.generator();
    for (std::size_t i = 0; i < blocks; ++i) {
      for (float& x : want[i]) x = test::draw<float>(random, Values::whole);
      tensors.push_back(from(want[i], {want[i].size()}).copy_to(tenant(trial.storage(), trial.draw.below(3))));
    }
    const auto part = [&](std::size_t rows, std::size_t columns) {
      Part result{trial.draw.below(blocks), trial.draw.below(regions), {{rows, columns}, {static_cast<std::ptrdiff_t>(columns), 1}, 0}};
      std::ptrdiff_t first = 0;
      if (trial.draw.chance(0.3)) result.layout.strides = {1, static_cast<std::ptrdiff_t>(rows)};
      if (trial.draw.chance(0.2)) first = static_cast<std::ptrdiff_t>(region_size - rows * columns);
      result.layout.offset = static_cast<std::ptrdiff_t>(result.region * region_size) + first;
      return result;
    };
    const auto apart_from = [&](Part other, std::size_t rows, std::size_t columns) {
      Part result = part(rows, columns);
      if (result.overlaps(other)) {
        result.layout.offset -= static_cast<std::ptrdiff_t>(result.region * region_size);
        result.region = (result.region + 1) % regions;
        result.layout.offset += static_cast<std::ptrdiff_t>(result.region * region_size);
      }
      return result;
    };
    const auto tensor = [&](const Part& at) { return tensors[at.block].with(at.layout); };
    const auto element = [&](const Part& at, std::size_t row, std::size_t column) -> float& {
      const Strides& strides = at.layout.strides;
      return want[at.block][static_cast<std::size_t>(at.layout.offset + static_cast<std::ptrdiff_t>(row) * strides[0] +
                                                     static_cast<std::ptrdiff_t>(column) * strides[1])];
    };
    const auto each = [](const Part& at, auto f) {
      for (std::size_t row = 0; row < at.layout.shape[0]; ++row)
        for (std::size_t column = 0; column < at.layout.shape[1]; ++column) f(row, column);
    };
    const auto clamped = [](float x) { return std::clamp(x, -bound, bound); };
    // What came to the host, or will, and what it has to be.
    std::vector<std::pair<SharedTensor<float>, std::vector<float>>> arrived;
    const auto expected_of = [&](const Part& at) {
      std::vector<float> values;
      each(at, [&](std::size_t row, std::size_t column) { values.push_back(element(at, row, column)); });
      return values;
    };

    const std::size_t steps = trial.draw.below(40) + 1;
    for (std::size_t step = 0; step < steps; ++step) {
      const std::size_t rows = 1 + trial.draw.below(40), columns = 1 + trial.draw.below(40), inner = 1 + trial.draw.below(40);
      const Part out = part(rows, columns);
      const std::size_t kind = trial.draw.below(9);
      trial.note("step ", kind, " to block ", out.block, " ", out.layout.shape, " strides ", out.layout.strides, " offset ", out.layout.offset);
      if (kind == 0 || kind == 1) {
        // In place, or not.
        const Part a = kind == 1 ? out : apart_from(out, rows, columns), b = apart_from(out, 1, columns);
        trial.note("with block ", a.block, " offset ", a.layout.offset, " and block ", b.block, " offset ", b.layout.offset);
        map_into(
            tensor(out), [](auto x, auto y) { return clamp(x - 2 * y, -bound, bound); }, tensor(a), tensor(b));
        each(out, [&](std::size_t i, std::size_t j) { element(out, i, j) = clamped(element(a, i, j) - 2 * element(b, 0, j)); });
      } else if (kind == 2) {
        const Part in = apart_from(out, rows, columns);
        trial.note("copy of block ", in.block, " offset ", in.layout.offset, " strides ", in.layout.strides);
        copy_into(tensor(out), tensor(in));
        each(out, [&](std::size_t i, std::size_t j) { element(out, i, j) = element(in, i, j); });
      } else if (kind == 3) {
        const Part a = apart_from(out, rows, inner), b = apart_from(out, inner, columns);
        trial.note("product of block ", a.block, " offset ", a.layout.offset, " and block ", b.block, " offset ", b.layout.offset, ", ", inner, " long");
        matmul_into(
            tensor(out), tensor(a), tensor(b), [](auto sum, auto old) { return clamp(sum + old, -bound, bound); }, tensor(out));
        each(out, [&](std::size_t i, std::size_t j) {
          float sum = 0;
          for (std::size_t k = 0; k < inner; ++k) sum += element(a, i, k) * element(b, k, j);
          element(out, i, j) = clamped(sum + element(out, i, j));
        });
      } else if (kind == 4) {
        const Part in = apart_from(out, rows, columns);
        const Part row = apart_from(in, 1, columns);
        trial.note("maxima of block ", in.block, " offset ", in.layout.offset, " to block ", row.block, " offset ", row.layout.offset);
        reduce_into<reduction::Maximum>(tensor(row), tensor(in), {.axes = {0}, .keep_dimensions = true});
        for (std::size_t j = 0; j < columns; ++j) {
          float largest = -boundless;
          for (std::size_t i = 0; i < rows; ++i) largest = std::max(largest, element(in, i, j));
          element(row, 0, j) = largest;
        }
      } else if (kind == 5) {
        // By way of tensors that are gone when this step is.
        const auto one = full<float>({}, 1.f).copy_to(tenant(trial.storage(), trial.draw.below(3)));
        const auto bytes = quantize<std::int8_t>(tensor(out), one);
        dequantize_into(tensor(out), bytes, one);
        trial.note("to bytes and back");
      } else if (kind == 6) {
        const auto host = full<float>({rows, columns}, static_cast<float>(step % 7));
        copy_into(tensor(out), host);
        trial.note("from the host");
        each(out, [&](std::size_t i, std::size_t j) { element(out, i, j) = static_cast<float>(step % 7); });
      } else if (kind == 7) {
        arrived.emplace_back(tensor(out).template copy_to<Heap>(), expected_of(out));
        trial.note("to the host");
      } else {
        const auto indices = from<std::int32_t>({0, -1, static_cast<std::int32_t>(rows / 2)}, {3}).copy_to(tenant(trial.storage(), trial.draw.below(3)));
        const auto gathered = gather(tensor(out), indices);
        map_into(
            tensor(out), [](auto x, auto y) { return clamp(x + y, -bound, bound); }, tensor(out), gathered.slice(0, 1, 2));
        trial.note("last row added");
        std::vector<float> last;
        for (std::size_t j = 0; j < columns; ++j) last.push_back(element(out, rows - 1, j));
        each(out, [&](std::size_t i, std::size_t j) { element(out, i, j) = clamped(element(out, i, j) + last[j]); });
      }
    }
    for (std::size_t i = 0; i < blocks; ++i) arrived.emplace_back(tensors[i].template copy_to<Heap>(), want[i]);
    for (std::size_t i = 0; i < arrived.size(); ++i) {
      const auto& [tensor_there, values] = arrived[i];
      for (std::size_t at = 0; at < values.size(); ++at)
        if (tensor_there.view().data()[at] != values[at])
          throw Mismatch{
              (i + blocks < arrived.size() ? "what came to the host as number " + std::to_string(i) : "block " + std::to_string(i + blocks - arrived.size())) +
              " has " + text_of(tensor_there.view().data()[at]) + " at " + std::to_string(at) + ", but should have " + text_of(values[at])};
    }
  }

 private:
  // Storage of the same memory, with work of its own where there is such a thing.
  template <class S> static S tenant(const S& storage, std::size_t number) {
    if constexpr (requires { storage.stream("tenant"); }) {
      if (number > 0) return storage.stream(number == 1 ? "tenant" : "another tenant");
    }
    return storage;
  }
};

TEST_CASE("random programs") { run_random<RandomProgram>(64); }

}  // namespace
}  // namespace cotenant::test
