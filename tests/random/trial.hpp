// Trial: what one random case of an op is made with. An op is a struct with a name and a run(trial), which draws operands, calls the
// library and says what it expects; it throws Mismatch where that is not there. Where it has a list `Elements` of element types, or of
// tuples of them, one is drawn first: run<T…>(trial).
#ifndef COTENANT_TESTS_RANDOM_TRIAL_HPP
#define COTENANT_TESTS_RANDOM_TRIAL_HPP
#include <string>
#include <type_traits>
#include <utility>

#include "sample.hpp"

namespace cotenant::test {

template <class... T> struct Types {};
using FloatTypes = Types<float, f16, bf16>;
using ScalarTypes = Types<float, f16, bf16, std::int8_t, std::uint8_t, std::int32_t, std::int64_t, bool>;

template <Storage StorageType> class Trial {
 public:
  using S = StorageType;
  template <class T> using Tensor = Sample<T, S>;

  Trial(Choices& choices, S storage) : draw(choices), storage_(std::move(storage)) {}

  Choices& draw;
  const std::string& text() const { return text_; }
  const S& storage() const { return storage_; }

  // Part of what a failure says.
  template <class... X> void note(const X&... parts) { text_ += Text{parts..., "; "}.string(); }

  // f(std::type_identity<T>{}) for one T of the list; of lists of types, f(Types<…>{}).
  template <class... T, class F> void with_type(Types<T...>, F&& f) {
    const std::size_t chosen = draw.below(sizeof...(T));
    std::size_t next = 0;
    (void)((next++ == chosen && (f(std::type_identity<T>{}), true)) || ...);
  }
  // f(function) for one of the functions.
  template <class F, class... Function> void with_one_of(F&& f, const Function&... functions) {
    const std::size_t chosen = draw.below(sizeof...(Function));
    note("function ", chosen);
    std::size_t next = 0;
    (void)((next++ == chosen && (f(functions), true)) || ...);
  }

  template <class Op> void run() {
    if constexpr (requires { typename Op::Elements; }) {
      with_type(typename Op::Elements{}, [&]<class T>(std::type_identity<T>) { run<Op>(T{}); });
    } else {
      Op::run(*this);
    }
  }

  // Around vectors, lines of a cache, tiles of registers, subgroups and workgroups; nothing now and then.
  std::size_t extent(std::size_t most = 300) {
    static constexpr std::array<std::size_t, 34> sizes{1,  2,  3,  4,  5,  6,  7,   8,   9,   12,  15,  16,  17,  24,  31,  32,  33,
                                                       40, 48, 63, 64, 65, 96, 100, 127, 128, 129, 160, 192, 255, 256, 257, 300, 511};
    if (draw.chance(0.02)) return 0;
    std::size_t usable = sizes.size();
    while (usable > 1 && sizes[usable - 1] > most) --usable;
    // Twice: small ones are likelier.
    return sizes[draw.below(draw.below(usable) + 1)];
  }
  // Of at most so many elements.
  Shape shape(std::size_t rank, std::size_t most = 20000) {
    Shape result = Shape::filled(rank, 1);
    for (std::size_t axis = rank; axis-- > 0;) result[axis] = extent(most / std::max<std::size_t>(element_count(result), 1));
    return result;
  }
  Shape shape() {
    if (draw.chance(0.005)) return {1 + draw.below(2), 1 + draw.below(3000000)};
    return shape(rank());
  }
  // Mostly small, up to the largest.
  std::size_t rank(std::size_t least = 0) { return least + draw.below(draw.below(max_rank - least + 1) + 1); }
  Shape broadcastable_to(Shape full) {
    if (draw.chance(0.5)) return full;
    for (std::size_t axis = 0; axis < full.rank(); ++axis)
      if (draw.chance(0.3)) full[axis] = 1;
    while (!full.empty() && draw.chance(0.25)) full.erase(0);
    return full;
  }

  template <class T> Sample<T, S> input(const Shape& shape, Values values = Values::uniform) { return sample<T>("in", shape, values, true); }
  template <class T> Sample<T, S> output(const Shape& shape, Values values = Values::uniform) { return sample<T>("out", shape, values, false); }
  // Elements that make(random) gives.
  template <class T, class Make> Sample<T, S> filled(const Shape& shape, Make make) { return laid_out<T>("in", shape, true, make); }

 private:
  template <class Op, class... T> void run(Types<T...>) { Op::template run<T...>(*this); }
  template <class Op, Element T> void run(T) { Op::template run<T>(*this); }

  template <class T> Sample<T, S> sample(const char* role, const Shape& shape, Values values, bool reads) {
    return laid_out<T>(role, shape, reads, [&](std::mt19937& random) { return test::draw<T>(random, values); });
  }
  // A layout for the shape: row-major, or permuted, padded, stepped, turned round; for reading also repeated or overlapping itself.
  template <class T, class Make> Sample<T, S> laid_out(const char* role, const Shape& shape, bool reads, Make make) {
    const std::size_t rank = shape.rank();
    Layout layout{shape, Strides::filled(rank, 1), 0};
    std::array<std::size_t, max_rank> order{};
    std::iota(order.begin(), order.begin() + rank, std::size_t{0});
    const bool plain = !draw.chance(0.6);  // row-major, whatever comes
    if (!plain && draw.chance(0.5))
      for (std::size_t i = rank; i > 1; --i) std::swap(order[i - 1], order[i - 1 - draw.below(i)]);
    std::ptrdiff_t step = 1, first = 0, last = 0;
    for (std::size_t i = rank; i-- > 0;) {
      const std::size_t axis = order[i];
      const auto extent = static_cast<std::ptrdiff_t>(shape[axis]);
      const std::size_t kind = plain ? 0 : draw.below(12);
      if (kind == 8 && shape[axis] < 40) step *= 2 + static_cast<std::ptrdiff_t>(draw.below(2));  // every second or third
      if (kind == 11 && element_count(shape) < 1000) step += 5000;                                // far apart
      std::ptrdiff_t stride = step;
      if (reads && kind == 9)
        stride = draw.below(2) == 0 ? 0 : std::min<std::ptrdiff_t>(step, 1 + static_cast<std::ptrdiff_t>(draw.below(3)));  // repeated, or windows
      else step *= std::max<std::ptrdiff_t>(extent, 1);
      if (kind == 7) step += 1 + static_cast<std::ptrdiff_t>(draw.below(9));  // a gap after the row
      if (kind == 10) stride = -stride;
      layout.strides[axis] = stride;
      const std::ptrdiff_t reach = stride * std::max<std::ptrdiff_t>(extent - 1, 0);
      (reach < 0 ? first : last) += reach;
    }
    // Elements around the view, which nobody may write.
    const auto before = static_cast<std::ptrdiff_t>(plain ? 0 : draw.below(9)), after = static_cast<std::ptrdiff_t>(plain ? 0 : draw.below(9));
    layout.offset = before - first;
    const bool is_empty = element_count(shape) == 0;
    auto whole = empty<T>({is_empty ? static_cast<std::size_t>(before + after) : static_cast<std::size_t>(last - first + 1 + before + after)});
    if (is_empty) layout.offset = 0;
    std::mt19937 random = draw.generator();
    T* const elements = whole.mutable_view().data();
    for (std::size_t i = 0; i < whole.size(); ++i) elements[i] = make(random);
    note(role, " ", to_string(dtype_of<T>), " ", shape, " strides ", layout.strides, " offset ", layout.offset);
    return Sample<T, S>(std::move(whole), layout, storage_);
  }

  S storage_;
  std::string text_;
};

}  // namespace cotenant::test

#endif
