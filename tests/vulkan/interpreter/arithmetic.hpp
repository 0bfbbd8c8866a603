// Instructions that compute: numbers, vectors and cooperative matrices alike, component by component.
#ifndef COTENANT_TESTS_VULKAN_INTERPRETER_ARITHMETIC_HPP
#define COTENANT_TESTS_VULKAN_INTERPRETER_ARITHMETIC_HPP
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "registers.hpp"

namespace cotenant::test::interpreter {

// One instruction of a subgroup; the operands are those after type and result.
class Arithmetic {
 public:
  using Instruction = Program::Instruction;
  Arithmetic(Registers& registers, const Instruction& one)
      : r_(registers), x_(one.operands), op_(one.op), type_(registers.result_type(one)), result_(registers.at(one.result)) {}

  // False: the instruction is none of these.
  bool run() {
    const auto by_sign = [&](auto f) { with_integer(scalar(0), is_signed(), f); };
    switch (op_) {
      // The specification's loosest rules would allow less; what kernels add for devices that are less exact does no harm here.
      case Op::FAdd: return floats([](auto a, auto b) { return a + b; });
      case Op::FSub: return floats([](auto a, auto b) { return a - b; });
      case Op::FMul: return floats([](auto a, auto b) { return a * b; });
      case Op::FDiv: return floats([](auto a, auto b) { return divide(a, b); });
      case Op::FNegate: with_float(scalar(0), [&](auto as) { unary(as, as, [](auto a) { return -a; }); }); return true;
      case Op::VectorTimesScalar: case Op::MatrixTimesScalar:
        if (scalar(0).kind == Kind::integer) with_integer(scalar(0), false, [&](auto as) { times_scalar(as); });
        else with_float(scalar(0), [&](auto as) { times_scalar(as); });
        return true;
      case Op::IAdd: return wrapping([](std::uint64_t a, std::uint64_t b) { return a + b; });
      case Op::ISub: return wrapping([](std::uint64_t a, std::uint64_t b) { return a - b; });
      case Op::IMul: return wrapping([](std::uint64_t a, std::uint64_t b) { return a * b; });
      case Op::SNegate: return wrapping_unary([](std::uint64_t a) { return 0 - a; });
      case Op::Not: return wrapping_unary([](std::uint64_t a) { return ~a; });
      case Op::BitwiseOr: return wrapping([](std::uint64_t a, std::uint64_t b) { return a | b; });
      case Op::BitwiseXor: return wrapping([](std::uint64_t a, std::uint64_t b) { return a ^ b; });
      case Op::BitwiseAnd: return wrapping([](std::uint64_t a, std::uint64_t b) { return a & b; });
      case Op::UDiv: case Op::SDiv: by_sign([&](auto as) { binary(as, as, [](auto a, auto b) { return quotient(a, b); }); }); return true;
      case Op::UMod: case Op::SRem: by_sign([&](auto as) { binary(as, as, [](auto a, auto b) { return remainder(a, b); }); }); return true;
      case Op::UMulExtended: multiply_extended(); return true;
      case Op::ShiftLeftLogical:
        shift([](auto a, std::uint64_t by) { return static_cast<decltype(a)>(static_cast<std::uint64_t>(a) << by); }, false);
        return true;
      case Op::ShiftRightLogical: shift([](auto a, std::uint64_t by) { return static_cast<decltype(a)>(a >> by); }, false); return true;
      case Op::ShiftRightArithmetic: shift([](auto a, std::uint64_t by) { return static_cast<decltype(a)>(a >> by); }, true); return true;
      case Op::IEqual: case Op::LogicalEqual: return compare_bits([](std::uint64_t a, std::uint64_t b) { return a == b; });
      case Op::INotEqual: case Op::LogicalNotEqual: return compare_bits([](std::uint64_t a, std::uint64_t b) { return a != b; });
      case Op::LogicalOr: return compare_bits([](std::uint64_t a, std::uint64_t b) { return a != 0 || b != 0; });
      case Op::LogicalAnd: return compare_bits([](std::uint64_t a, std::uint64_t b) { return a != 0 && b != 0; });
      case Op::LogicalNot: unary(Plain<std::uint64_t>{}, Plain<std::uint64_t>{}, [](std::uint64_t a) { return std::uint64_t{a == 0}; }); return true;
      case Op::ULessThan: case Op::SLessThan: by_sign([&](auto as) { compare(as, [](auto a, auto b) { return a < b; }); }); return true;
      case Op::ULessThanEqual: case Op::SLessThanEqual: by_sign([&](auto as) { compare(as, [](auto a, auto b) { return a <= b; }); }); return true;
      case Op::UGreaterThan: case Op::SGreaterThan: by_sign([&](auto as) { compare(as, [](auto a, auto b) { return a > b; }); }); return true;
      case Op::UGreaterThanEqual: case Op::SGreaterThanEqual: by_sign([&](auto as) { compare(as, [](auto a, auto b) { return a >= b; }); }); return true;
      case Op::FOrdEqual: return compare_floats([](auto a, auto b) { return a == b; });
      case Op::FUnordNotEqual: return compare_floats([](auto a, auto b) { return a != b; });
      case Op::FOrdLessThan: return compare_floats([](auto a, auto b) { return a < b; });
      case Op::FOrdLessThanEqual: return compare_floats([](auto a, auto b) { return a <= b; });
      case Op::FOrdGreaterThan: return compare_floats([](auto a, auto b) { return a > b; });
      case Op::FOrdGreaterThanEqual: return compare_floats([](auto a, auto b) { return a >= b; });
      case Op::Select: select(); return true;
      case Op::Any: case Op::All: any_or_all(); return true;
      case Op::ConvertFToU: case Op::ConvertFToS:
        with_float(scalar(0), [&](auto from) { with_integer(type_.scalar(), op_ == Op::ConvertFToS, [&](auto to) {
          unary(from, to, [](auto a) { return to_integer<typename decltype(to)::Value>(a); });
        }); });
        return true;
      case Op::ConvertSToF: case Op::ConvertUToF:
        with_integer(scalar(0), op_ == Op::ConvertSToF, [&](auto from) { with_float(type_.scalar(), [&](auto to) {
          unary(from, to, [](auto a) { return static_cast<typename decltype(to)::Value>(a); });
        }); });
        return true;
      case Op::UConvert: case Op::SConvert:
        with_integer(scalar(0), op_ == Op::SConvert, [&](auto from) { with_integer(type_.scalar(), false, [&](auto to) {
          unary(from, to, [](auto a) { return static_cast<typename decltype(to)::Value>(a); });
        }); });
        return true;
      case Op::FConvert:
        with_float(scalar(0), [&](auto from) { with_float(type_.scalar(), [&](auto to) {
          unary(from, to, [](auto a) { return static_cast<typename decltype(to)::Value>(a); });
        }); });
        return true;
      default: return false;
    }
  }

 private:
  const Type& scalar(std::size_t operand) const { return r_.type_of(x_[operand]).scalar(); }
  // Whether the instruction takes integers as signed.
  bool is_signed() const {
    switch (op_) {
      case Op::SDiv: case Op::SRem: case Op::SLessThan: case Op::SLessThanEqual: case Op::SGreaterThan: case Op::SGreaterThanEqual: return true;
      default: return false;
    }
  }
  template <class T> static T divide(T a, T b) {
    if (b != 0) return a / b;
    return a == 0 || a != a ? std::numeric_limits<T>::quiet_NaN() : std::copysign(std::numeric_limits<T>::infinity(), a) * std::copysign(T{1}, b);
  }
  template <class T> static T quotient(T a, T b) {
    if (b == 0 || (std::is_signed_v<T> && b == static_cast<T>(-1) && a == std::numeric_limits<T>::min())) return static_cast<T>(undefined_bits);
    return static_cast<T>(a / b);
  }
  template <class T> static T remainder(T a, T b) {
    if (b == 0 || (std::is_signed_v<T> && b == static_cast<T>(-1) && a == std::numeric_limits<T>::min())) return static_cast<T>(undefined_bits);
    return static_cast<T>(a % b);
  }

  template <class From, class To, class F> void unary(From, To, F f) {
    const std::uint64_t* const a = r_.at(x_[0]);
    r_.each_number(type_, [&](std::uint32_t i) { result_[i] = To::bits(f(From::value(a[i]))); });
  }
  template <class From, class To, class F> void binary(From, To, F f) {
    const std::uint64_t *const a = r_.at(x_[0]), *const b = r_.at(x_[1]);
    r_.each_number(type_, [&](std::uint32_t i) { result_[i] = To::bits(f(From::value(a[i]), From::value(b[i]))); });
  }
  template <class F> bool floats(F f) {
    with_float(scalar(0), [&](auto as) { binary(as, as, f); });
    return true;
  }
  // Sums, products and bits are the same for both signs.
  template <class F> bool wrapping(F f) {
    const std::uint64_t mask = ~std::uint64_t{0} >> (64 - scalar(0).bits);
    binary(Plain<std::uint64_t>{}, Plain<std::uint64_t>{}, [&](std::uint64_t a, std::uint64_t b) { return f(a, b) & mask; });
    return true;
  }
  template <class F> bool wrapping_unary(F f) {
    const std::uint64_t mask = ~std::uint64_t{0} >> (64 - scalar(0).bits);
    unary(Plain<std::uint64_t>{}, Plain<std::uint64_t>{}, [&](std::uint64_t a) { return f(a) & mask; });
    return true;
  }
  template <class As, class F> void compare(As as, F f) {
    binary(as, Plain<std::uint64_t>{}, [&](auto a, auto b) { return std::uint64_t{f(a, b)}; });
  }
  template <class F> bool compare_floats(F f) {
    with_float(scalar(0), [&](auto as) { compare(as, f); });
    return true;
  }
  template <class F> bool compare_bits(F f) {
    compare(Plain<std::uint64_t>{}, f);
    return true;
  }
  template <class As> void times_scalar(As) {
    const std::uint64_t *const a = r_.at(x_[0]), *const b = r_.at(x_[1]);
    r_.each_number(type_, [&](std::uint32_t i) {
      result_[i] = As::bits(static_cast<typename As::Value>(As::value(a[i]) * As::value(b[i % lanes])));
    });
  }
  template <class F> void shift(F f, bool arithmetic) {
    const std::uint64_t *const a = r_.at(x_[0]), *const b = r_.at(x_[1]);
    const std::uint32_t bits = type_.scalar().bits;
    with_integer(type_.scalar(), arithmetic, [&](auto as) {
      using As = decltype(as);
      const std::uint64_t beyond = As::bits(static_cast<typename As::Value>(undefined_bits));
      r_.each_number(type_, [&](std::uint32_t i) { result_[i] = b[i] < bits ? As::bits(f(As::value(a[i]), b[i])) : beyond; });
    });
  }
  // The low and the high halves of products of 32 bits.
  void multiply_extended() {
    const std::uint64_t *const a = r_.at(x_[0]), *const b = r_.at(x_[1]);
    const std::uint32_t half = type_.slots / 2;
    for (std::uint32_t c = 0; c < half; ++c)
      r_.each_lane([&](std::uint32_t l) {
        const std::uint64_t product = a[c * lanes + l] * b[c * lanes + l];
        result_[c * lanes + l] = product & 0xFFFFFFFF, result_[(half + c) * lanes + l] = product >> 32;
      });
  }
  void select() {
    const std::uint64_t *const condition = r_.at(x_[0]), *const yes = r_.at(x_[1]), *const no = r_.at(x_[2]);
    const bool each = r_.type_of(x_[0]).kind == Kind::vector;
    r_.each_number(type_, [&](std::uint32_t i) { result_[i] = condition[each ? i : i % lanes] != 0 ? yes[i] : no[i]; });
  }
  void any_or_all() {
    const std::uint64_t* const a = r_.at(x_[0]);
    const std::uint32_t count = r_.type_of(x_[0]).slots;
    r_.each_lane([&](std::uint32_t l) {
      std::uint32_t holds = 0;
      for (std::uint32_t c = 0; c < count; ++c) holds += a[c * lanes + l] != 0 ? 1 : 0;
      result_[l] = op_ == Op::Any ? holds != 0 : holds == count;
    });
  }

  Registers& r_;
  std::span<const std::uint32_t> x_;
  Op op_;
  const Type& type_;
  std::uint64_t* result_;
};

// GLSL.std.450.
inline void extended(Registers& r, const Program::Instruction& one) {
  using vulkan::spirv::Glsl;
  const Type& type = r.result_type(one);
  const auto& x = one.operands;  // the set, the number, and from 2 on what it computes with
  std::uint64_t* const to = r.at(one.result);
  const auto operand = [&](std::size_t i) -> const std::uint64_t* { return r.at(x[2 + i]); };
  const auto unary = [&](auto f) {
    with_float(type.scalar(), [&](auto as) {
      using As = decltype(as);
      const std::uint64_t* const a = operand(0);
      r.each_number(type, [&](std::uint32_t i) { to[i] = As::bits(f(As::value(a[i]))); });
    });
  };
  const auto binary = [&](auto f) {
    return [&r, &type, to, operand, f](auto as) {
      using As = decltype(as);
      const std::uint64_t *const a = operand(0), *const b = operand(1);
      r.each_number(type, [&](std::uint32_t i) { to[i] = As::bits(f(As::value(a[i]), As::value(b[i]))); });
    };
  };
  const auto smaller = binary([](auto a, auto b) { return b < a ? b : a; });
  const auto larger = binary([](auto a, auto b) { return a < b ? b : a; });
  switch (static_cast<Glsl>(x[1])) {
    case Glsl::FMin: with_float(type.scalar(), smaller); break;
    case Glsl::FMax: with_float(type.scalar(), larger); break;
    case Glsl::SMin: with_integer(type.scalar(), true, smaller); break;
    case Glsl::SMax: with_integer(type.scalar(), true, larger); break;
    case Glsl::UMin: with_integer(type.scalar(), false, smaller); break;
    case Glsl::UMax: with_integer(type.scalar(), false, larger); break;
    case Glsl::RoundEven: unary([](auto a) { return std::nearbyint(a); }); break;
    case Glsl::Trunc: unary([](auto a) { return std::trunc(a); }); break;
    case Glsl::Floor: unary([](auto a) { return std::floor(a); }); break;
    case Glsl::Ceil: unary([](auto a) { return std::ceil(a); }); break;
    case Glsl::FAbs: unary([](auto a) { return std::fabs(a); }); break;
    case Glsl::Exp2: unary([](auto a) { return std::exp2(a); }); break;
    case Glsl::Sqrt: unary([](auto a) { return std::sqrt(a); }); break;
    case Glsl::InverseSqrt: unary([](auto a) { return a == 0 ? std::copysign(std::numeric_limits<decltype(a)>::infinity(), a) : 1 / std::sqrt(a); }); break;
    case Glsl::Fma:
      with_float(type.scalar(), [&](auto as) {
        using As = decltype(as);
        const std::uint64_t *const a = operand(0), *const b = operand(1), *const c = operand(2);
        r.each_number(type, [&](std::uint32_t i) { to[i] = As::bits(std::fma(As::value(a[i]), As::value(b[i]), As::value(c[i]))); });
      });
      break;
    case Glsl::UnpackHalf2x16: {
      const std::uint64_t* const a = operand(0);
      r.each_lane([&](std::uint32_t l) {
        for (std::uint32_t c = 0; c < 2; ++c) to[c * lanes + l] = Plain<float>::bits(Rounded<f16>::value(a[l] >> (16 * c) & 0xFFFF));
      });
      break;
    }
    default: fault("the interpreter does not know the function " + std::to_string(x[1]) + " of GLSL.std.450");
  }
}

}  // namespace cotenant::test::interpreter

#endif
